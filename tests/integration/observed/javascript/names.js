console.log(__filename, __dirname, require.main === module, module.paths, Object.keys(require.cache))
