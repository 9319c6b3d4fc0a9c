console.log(String(require('child_process').execFileSync('env')),
    String(require('child_process').execFileSync('ls', ['/proc/self/fd'])))
