console.log(Intl.DateTimeFormat().resolvedOptions().locale, new Intl.NumberFormat().format(1234.5),
    'ä'.localeCompare('z'))
