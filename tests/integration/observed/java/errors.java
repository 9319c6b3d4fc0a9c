public class Main { void f() { int x = "a"; undefined(); return 1; } class }
