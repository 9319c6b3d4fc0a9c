console.log("before");
throw new Error("it went wrong");
