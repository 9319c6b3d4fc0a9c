console.log("to the first");
console.error("to the second");
