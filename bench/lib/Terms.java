// bench/terms: jinterface on one term. Terms FILE ROUNDS prints the median microseconds of reading and of writing, once the
// compiler has had two seconds to warm up.
import com.ericsson.otp.erlang.OtpErlangObject;
import com.ericsson.otp.erlang.OtpInputStream;
import com.ericsson.otp.erlang.OtpOutputStream;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;

class Terms {
    static OtpErlangObject read(byte[] bytes) throws Exception {
        return new OtpInputStream(bytes).read_any();
    }

    static int write(OtpErlangObject term) {
        OtpOutputStream out = new OtpOutputStream();
        out.write(131);
        out.write_any(term);
        return out.size();
    }

    static double median(double[] times) {
        Arrays.sort(times);
        return times[times.length / 2];
    }

    public static void main(String[] arguments) throws Exception {
        byte[] bytes = Files.readAllBytes(Paths.get(arguments[0]));
        int rounds = Integer.parseInt(arguments[1]), kept = 0;
        for (long end = System.nanoTime() + 2_000_000_000L; System.nanoTime() < end; ) kept += write(read(bytes));
        double[] reading = new double[rounds], writing = new double[rounds];
        for (int i = 0; i < rounds; i++) {
            System.gc();
            long before = System.nanoTime();
            OtpErlangObject term = read(bytes);
            long between = System.nanoTime();
            kept += write(term);
            writing[i] = (System.nanoTime() - between) / 1000.0;
            reading[i] = (between - before) / 1000.0;
        }
        if (kept == 0) throw new Exception("nothing was written");
        System.out.printf(java.util.Locale.ROOT, "%.1f %.1f%n", median(reading), median(writing));
    }
}
