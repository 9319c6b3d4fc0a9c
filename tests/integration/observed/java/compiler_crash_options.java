class Main { int a = ; } class ä { }
