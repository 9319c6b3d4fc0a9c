console.log(require('fs').existsSync('package.json'), require.extensions)
