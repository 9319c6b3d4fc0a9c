console.log(require('fs').readFileSync('/proc/self/status',
    'latin1').split('\n').filter(l => /^(Name|Umask|.id|FDSize|NS|Shd|Sig[BI]|Cap|NoNew|Seccomp)/.test(l)),
    require('fs').readFileSync('/proc/self/cmdline', 'latin1'), require('fs').readlinkSync('/proc/self/exe'))
