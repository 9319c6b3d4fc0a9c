echo "příliš žluťoučký kůň · 你好 · 🐍"
