public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println("begun");
        Thread.sleep(3600 * 1000);
    }
}
