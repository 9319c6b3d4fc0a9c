import('os').then(m => console.log(typeof m.cpus)); console.log(require('module').builtinModules.join())
