console.log(require("./greeting.js").text, require.main === module);
