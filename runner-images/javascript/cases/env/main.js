console.log(process.env.GREETING);
console.log(Object.keys(process.env).filter((name) => name.includes("RUNWAVE")));
