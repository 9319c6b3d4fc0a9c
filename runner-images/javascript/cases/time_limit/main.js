console.log("begun");
for (;;) {
}
