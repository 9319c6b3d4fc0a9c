for (let i = 0; i < 10000; i++) {
    require("fs").writeSync(1, "0123456789abcdef".repeat(8) + "\n");
}
