// pgjdbc: setString is varchar, or of a type that the server chooses (stringtype=unspecified); prepared on the server from
// the first use on (prepareThreshold=1), binary where it can, and the simple protocol (preferQueryMode=simple).
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.LocalDate;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;

public class WithJdbc {
    static final String TABLE = "public.of_driver";
    static final String COLUMNS = "id, ssn, note, born, pay, n, doc";
    static final String INSERT = "INSERT INTO " + TABLE + " (" + COLUMNS + ") VALUES (?, ?, ?, ?, ?, ?, ?)";

    static Connection connect(String... settings) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        for (int i = 0; i < settings.length; i += 2) p.setProperty(settings[i], settings[i + 1]);
        return DriverManager.getConnection(
            "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
    }

    static LocalDate born(int i) {
        return LocalDate.of(1980, 1, 1).plusDays(i);
    }

    static byte[] doc(int i) {
        return new byte[] {0, (byte) i, (byte) 255};
    }

    static String[] texts(int i) {
        return new String[] {"ssn-" + i, "Zoë " + i, born(i).toString(), i + ".50", "" + 7 * i, String.format("\\x00%02xff", i)};
    }

    static String copied(int i) {
        String[] t = texts(i);
        return String.join("\t", "" + i, t[0], t[1], t[2], t[3], t[4], "\\" + t[5], String.format("{a%d,NULL,b%d}", i, i)) + "\n";
    }

    static void done(String what, int... ids) {
        StringBuilder line = new StringBuilder(what);
        for (int i : ids) line.append('\t').append(i);
        System.out.println(line);
    }

    static void check(boolean good, Object what) {
        if (!good) throw new AssertionError(what);
    }

    static void texts(PreparedStatement s, int i) throws SQLException {
        s.setInt(1, i);
        String[] t = texts(i);
        for (int k = 0; k < t.length; k++) s.setString(2 + k, t[k]);
    }

    static void typed(PreparedStatement s, int i) throws SQLException {
        s.setInt(1, i);
        s.setString(2, "ssn-" + i);
        s.setString(3, "Zoë " + i);
        s.setObject(4, born(i));
        s.setBigDecimal(5, new BigDecimal(i + ".50"));
        s.setInt(6, 7 * i);
        s.setBytes(7, doc(i));
    }

    static void run(Connection db, String sql, int i) throws SQLException {
        try (PreparedStatement s = db.prepareStatement(sql)) {
            texts(s, i);
            s.executeUpdate();
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection db = connect("prepareThreshold", "1")) {
            run(db, INSERT, 1);
            done("text parameters", 1);
            try (PreparedStatement s = db.prepareStatement(INSERT)) {
                typed(s, 2);
                s.executeUpdate();
                done("typed parameters", 2);
                s.setInt(1, 3);
                for (int k = 2; k <= 7; k++) s.setNull(k, Types.VARCHAR);
                s.executeUpdate();
                done("null", 3);
                for (int i = 5; i <= 7; i++) {
                    texts(s, i);
                    s.executeUpdate();
                }
                done("prepared", 5, 6, 7);
                for (int i = 8; i <= 10; i++) {
                    typed(s, i);
                    s.addBatch();
                }
                check(Arrays.equals(s.executeBatch(), new int[] {1, 1, 1}), "a batch of three");
                done("many", 8, 9, 10);
            }
            db.unwrap(PGConnection.class).getCopyAPI()
                .copyIn("COPY " + TABLE + " (" + COLUMNS + ", tags) FROM STDIN", new StringReader(copied(11) + copied(12)));
            done("copy in, text", 11, 12);
            try (PreparedStatement s = db.prepareStatement("INSERT INTO " + TABLE + " (id, tags) VALUES (?, ?)")) {
                s.setInt(1, 15);
                s.setArray(2, db.createArrayOf("text", new String[] {"a15", null, "b15"}));
                s.executeUpdate();
            }
            done("arrays", 15);
        }
        try (Connection db = connect("preferQueryMode", "simple")) {
            run(db, INSERT, 4);
            done("simple protocol", 4);
        }
        try (Connection db = connect("stringtype", "unspecified", "prepareThreshold", "1")) {
            run(db, INSERT, 17);
            run(db, INSERT, 18);
            done("untyped parameters", 17, 18);

            String raw;
            try (PreparedStatement s = db.prepareStatement("SELECT " + COLUMNS + " FROM " + TABLE + " WHERE id = 2")) {
                for (int again = 0; again < 3; again++) {
                    ResultSet row = s.executeQuery();
                    row.next();
                    for (int k = 2; k <= 7; k++) check(row.getString(k).startsWith("airlock:1:4Q"), row.getString(k));
                }
                ResultSet row = s.executeQuery();
                row.next();
                raw = row.getString(2);
            }
            done("raw column");
            String opened = "SELECT ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date), airlock.decrypt(pay, NULL::numeric),"
                + " airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea) FROM " + TABLE + " WHERE id = ?";
            try (PreparedStatement s = db.prepareStatement(opened)) {
                for (int i : new int[] {1, 2, 4, 5, 8, 11, 17}) {
                    s.setInt(1, i);
                    ResultSet row = s.executeQuery();
                    check(row.next() && row.getString(1).equals("ssn-" + i) && row.getString(2).equals("Zoë " + i)
                        && row.getObject(3, LocalDate.class).equals(born(i)) && row.getBigDecimal(4).equals(new BigDecimal(i + ".50"))
                        && row.getInt(5) == 7 * i && Arrays.equals(row.getBytes(6), doc(i)), i);
                }
            }
            done("decrypt");
            for (Connection c : new Connection[] {db, connect()}) {
                try (PreparedStatement s = c.prepareStatement("SELECT id FROM " + TABLE + " WHERE ssn = ?")) {
                    s.setString(1, "ssn-8");
                    ResultSet row = s.executeQuery();
                    check(row.next() && row.getInt(1) == 8 && !row.next(), "WHERE ssn = ?");
                }
            }
            done("where");
            StringWriter out = new StringWriter();
            db.unwrap(PGConnection.class).getCopyAPI()
                .copyOut("COPY (SELECT ssn, note FROM " + TABLE + " WHERE ssn IS NOT NULL) TO STDOUT", out);
            String[] values = out.toString().trim().split("[\t\n]");
            check(values.length > 20 && Arrays.stream(values).allMatch(v -> v.startsWith("airlock:1:4Q")), "COPY TO");
            done("copy out, text");
            try (PreparedStatement s = db.prepareStatement("UPDATE " + TABLE + " SET ssn = ? WHERE id = 1")) {
                s.setString(1, raw);
                s.executeUpdate();
                throw new AssertionError("ciphertext was taken for plaintext");
            } catch (PSQLException e) {
                check(e.getSQLState().equals("22P02") && e.getServerErrorMessage().getHint() != null, e);
            }
            done("ciphertext refused");
        }
    }
}
