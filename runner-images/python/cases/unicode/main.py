print("příliš žluťoučký kůň · 你好 · 🐍")
