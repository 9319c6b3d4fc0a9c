public class Main {
    public static void main(String[] args) {
        System.out.println(System.getenv("GREETING"));
        System.out.println(System.getenv().keySet().stream().filter(name -> name.contains("RUNWAVE")).toList());
    }
}
