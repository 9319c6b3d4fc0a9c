exports.text = "started as main:";
