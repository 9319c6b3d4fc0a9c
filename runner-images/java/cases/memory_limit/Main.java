import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

public class Main {
    public static void main(String[] args) {
        List<Object> blocks = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            ByteBuffer block = ByteBuffer.allocateDirect(10 << 20);
            while (block.hasRemaining()) {
                block.put((byte) 1);
            }
            blocks.add(block);
        }
        Thread[] threads = new Thread[60];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(null, () -> deep(0), "deep", 8 << 20);
            threads[i].start();
        }
    }

    static long deep(long depth) {
        if (depth < 60_000) {
            return deep(depth + 1) + 1;
        }
        try {
            Thread.sleep(3600 * 1000);
        } catch (InterruptedException ignored) {
        }
        return 0;
    }
}
