let kept = [];
for (let i = 0; i < 300; i++) {
    kept = new Array(1 << 17).fill({ number: i });
}
console.log(kept[0].number);
