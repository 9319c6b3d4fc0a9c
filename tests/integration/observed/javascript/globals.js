console.log(Object.getOwnPropertyNames(globalThis).sort().join(), process.moduleLoadList.join())
