const fs = require("fs");
const { add } = require("./tools/sums.js");

console.log(fs.readFileSync("data/words.txt", "utf8").trim(), add(40, 2));
