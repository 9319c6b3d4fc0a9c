public class Main { static void f() { throw new IllegalStateException("x", new RuntimeException("y"));
    } public static void main(String[] a) throws Exception { Thread t = new Thread(Main::f); t.start();
    t.join(); f(); } }
