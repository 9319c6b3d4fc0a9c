import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.HexFormat;

public class Main {
    record P(int x) {}

    enum E { A }

    sealed interface S permits T {}

    static final class T implements S {}

    public static void main(String[] args) throws Exception {
        for (var file : new java.io.File(".").listFiles()) {
            var digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file.toPath()));
            System.out.println(file + HexFormat.of().formatHex(digest));
        }
        Runnable later = () -> System.out.println(new P(1));
        later.run();
    }
}
