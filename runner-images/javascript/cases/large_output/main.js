process.stdout.write(("x".repeat(99) + "\n").repeat(10000));
