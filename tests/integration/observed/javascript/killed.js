process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 3000)
