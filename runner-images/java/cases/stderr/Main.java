public class Main {
    public static void main(String[] args) {
        System.out.println("to the first");
        System.err.println("to the second");
    }
}
