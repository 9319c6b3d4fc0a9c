public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(args.length + " " + Main.class.getClassLoader().getClass());
        System.out.println(Main.class.getProtectionDomain().getCodeSource() + " " + Main.class.getResource("Main.class"));
        System.out.println(Thread.currentThread() + " " + Thread.currentThread().getStackTrace().length + Thread.activeCount());
    }
}
