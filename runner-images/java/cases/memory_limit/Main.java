public class Main {
    public static void main(String[] args) {
        for (int i = 0; i < 90; i++) {
            new Thread(null, Main::fillStack, "deep", 8 << 20).start();
        }
    }

    static void fillStack() {
        try {
            fillStack(0);
        } catch (StackOverflowError full) {
            sleep();
        }
    }

    static int fillStack(int depth) {
        return fillStack(depth + 1) + 1;
    }

    static void sleep() {
        try {
            Thread.sleep(3600 * 1000);
        } catch (InterruptedException ignored) {
        }
    }
}
