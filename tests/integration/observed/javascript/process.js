console.log(process.argv, process.execArgv, process.execPath, process.pid, process.ppid, process.title,
    process.cwd(), process.umask(), process.versions, process.config.variables.napi_build_version,
    process.release.name)
