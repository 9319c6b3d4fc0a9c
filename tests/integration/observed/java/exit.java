public class Main { public static void main(String[] a) {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("bye"))); System.out.print("x");
    System.exit(9); } }
