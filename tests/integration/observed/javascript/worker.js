const w = require('worker_threads'); if (w.isMainThread) new w.Worker(__filename).on('message',
    m => console.log(m)); else w.parentPort.postMessage(w.threadId)
