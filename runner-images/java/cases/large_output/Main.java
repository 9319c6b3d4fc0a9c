public class Main {
    public static void main(String[] args) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 10000; i++) {
            text.append("x".repeat(99)).append("\n");
        }
        System.out.print(text);
    }
}
