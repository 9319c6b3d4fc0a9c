public class Main {
    public static void main(String[] words) throws Exception {
        System.out.println(Main.class.getMethod("main", String[].class).getParameters()[0].getName());
    }
}
