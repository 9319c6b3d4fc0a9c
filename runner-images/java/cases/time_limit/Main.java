public class Main {
    public static void main(String[] args) {
        System.out.println("begun");
        for (long i = 0;; i++) {
        }
    }
}
