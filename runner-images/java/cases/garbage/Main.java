public class Main {
    public static void main(String[] args) {
        byte[] kept = null;
        for (int i = 0; i < 4000; i++) {
            kept = new byte[1 << 20];
            kept[i] = (byte) i;
        }
        System.out.println(kept.length);
    }
}
