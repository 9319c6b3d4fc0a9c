package app;

class Greeting {
    static final String TEXT = "started as";
}
