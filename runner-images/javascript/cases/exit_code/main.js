console.log("before the end");
process.exitCode = 7;
