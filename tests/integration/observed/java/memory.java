import java.lang.management.ManagementFactory;

public class Main {
    public static void main(String[] args) {
        Runtime runtime = Runtime.getRuntime();
        System.out.println(runtime.maxMemory() + " " + runtime.availableProcessors());
        System.out.println(java.nio.charset.Charset.defaultCharset() + " " + java.util.Locale.getDefault());
        System.out.println(ManagementFactory.getRuntimeMXBean().getInputArguments());
    }
}
