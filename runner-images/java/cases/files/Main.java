import java.nio.file.Files;
import java.nio.file.Path;
import tools.Sums;

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(Files.readString(Path.of("data/words.txt")).strip() + " " + Sums.add(40, 2));
    }
}
