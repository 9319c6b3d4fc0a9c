process.on('exit', c => console.log('exit', c)); process.exitCode = 5; setTimeout(() => console.log('later'), 5)
