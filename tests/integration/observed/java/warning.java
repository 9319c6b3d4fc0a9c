import java.util.*; public class Main { public static void main(String[] a) { List l = new ArrayList();
    l.add(1); new Integer(3); Thread.currentThread().stop(); } }
