process.on('SIGTERM', () => { console.log('term'); process.exit(7) }); setTimeout(() => {}, 3000);
    process.kill(process.pid, 'SIGTERM')
