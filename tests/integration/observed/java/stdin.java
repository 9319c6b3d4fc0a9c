public class Main { public static void main(String[] a) throws Exception {
    System.out.println(System.in.read() + " " + System.in.available() + System.console()); } }
