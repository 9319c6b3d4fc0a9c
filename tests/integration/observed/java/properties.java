public class Main { public static void main(String[] a) {
    System.getProperties().forEach((k, v) -> System.out.println(k + "=" + v));
    System.out.println(System.getenv()); } }
