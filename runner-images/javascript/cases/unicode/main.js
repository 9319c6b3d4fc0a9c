console.log("příliš žluťoučký kůň · 你好 · 🐍");
