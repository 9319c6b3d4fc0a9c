console.log(process.env, require('fs').readFileSync('/proc/self/environ', 'latin1'))
