import java.nio.file.*;

public class Main {
    public static void main(String[] args) throws Exception {
        for (String folder : new String[] {".", "/tmp", "/dev/shm", "/proc/self/fd"}) {
            try (var files = Files.list(Path.of(folder))) {
                System.out.println(folder + files.map(file -> file.getFileName().toString()).sorted().toList());
            }
        }
        for (String name : new String[] {"cmdline", "environ", "limits"}) {
            System.out.println(Files.readString(Path.of("/proc/self/" + name)));
        }
    }
}
