const fs = require('fs'); console.log(fs.readdirSync('/proc/self/fd').join(), fs.openSync('/dev/null'))
