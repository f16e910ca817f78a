#include "sql_adapter/statement_text.h"

#include <gtest/gtest.h>

namespace assent::sql {
namespace {

std::string words(std::string_view text) {
  std::string out;
  for (const Token& token : tokenize(text)) out += (out.empty() ? "" : " ") + std::string(token.text);
  return out;
}

TEST(Tokens, CommentsAndBlanksGo) {
  EXPECT_EQ(words("a -- b\n c/* d ' */e"), "a c e");
  EXPECT_EQ(words("a /* never closed"), "a");
  EXPECT_EQ(words("-- only"), "");
  EXPECT_TRUE(blank(" ; -- x\n ;"));
  EXPECT_FALSE(blank("; x"));
}

TEST(Tokens, QuotesHoldAnything) {
  const auto tokens = tokenize(R"('it''s; --' "a""b" [c]] `d` x'0aff')");
  ASSERT_GE(tokens.size(), 4U);
  EXPECT_EQ(tokens[0].kind, TokenKind::string);
  EXPECT_EQ(tokens[1].name(), "a\"b");
  EXPECT_EQ(tokens[2].name(), "c");
  EXPECT_EQ(tokens.back().kind, TokenKind::blob);
}

TEST(Tokens, UnclosedOnesAreNoNames) {
  for (const char* text : {"'", "\"", "[", "`", "x'", "'a''", "/*", "-", "?", ":", "\x01", "\xff"}) {
    (void)read_statement(text);
    EXPECT_LE(tokenize(text).size(), 1U) << text;
  }
}

TEST(Kinds, ByTheFirstWord) {
  const auto kind = [](const char* text) { return read_statement(text).kind; };
  EXPECT_EQ(kind("/* x */ create table t(a)"), StatementKind::schema);
  EXPECT_EQ(kind("PRAGMA x"), StatementKind::forbidden);
  EXPECT_EQ(kind("vacuum"), StatementKind::forbidden);
  EXPECT_EQ(kind("\"create\" table"), StatementKind::rows);
  EXPECT_EQ(kind(" ;; "), StatementKind::empty);
  EXPECT_TRUE(read_statement("INSERT OR ROLLBACK INTO t VALUES(1)").says_rollback);
  EXPECT_FALSE(read_statement("INSERT INTO t VALUES('ROLLBACK')").says_rollback);
}

std::string point(const char* text) {
  const auto shape = read_statement(text).point;
  if (!shape) return "none";
  std::string out = shape->table + ":";
  for (const PointTerm& term : shape->terms) {
    out += " " + term.column + "=";
    if (term.operand.parameter > 0) {
      out += "?" + std::to_string(term.operand.parameter);
    } else if (!term.operand.parameter_name.empty()) {
      out += term.operand.parameter_name;
    } else if (const auto* value = std::get_if<std::int64_t>(&term.operand.value)) {
      out += std::to_string(*value);
    } else {
      out += std::get<std::string>(term.operand.value);
    }
  }
  return out;
}

TEST(Points, AreRecognised) {
  EXPECT_EQ(point("SELECT * FROM t WHERE id = 5"), "t: id=5");
  EXPECT_EQ(point("select a, count(*) from main.t as x where x.id = ?2 and a > 3 order by 1 limit 1;"), "t: id=?2");
  EXPECT_EQ(point("UPDATE t SET a = a - ?, b = ? WHERE id = ?"), "t: id=?3");
  EXPECT_EQ(point("UPDATE t SET a = ?1 WHERE id = ?2 AND a >= ?1 RETURNING a"), "t: id=?2");
  EXPECT_EQ(point("DELETE FROM \"t\" WHERE 'x''y' = id AND k == -7"), "t: id=x'y k=-7");
  EXPECT_EQ(point("UPDATE OR REPLACE t SET a = 1 WHERE id = :name"), "t: id=:name");
  EXPECT_EQ(point("SELECT * FROM t WHERE id=?AND a=1"), "t: id=?1 a=1");
  EXPECT_EQ(point("SELECT * FROM t WHERE (a = 1 OR b = 2) AND id = 3"), "t: id=3");
}

// Each of these can read another row than the one it seems to name.
TEST(Points, AreNotSeenWhereOtherRowsMatter) {
  for (const char* text : {
           "SELECT * FROM t WHERE id = 5 OR a = 1",
           "SELECT * FROM t WHERE a BETWEEN 1 AND id = 5",
           "SELECT * FROM t WHERE NOT a AND id = 5",
           "SELECT * FROM t WHERE CASE WHEN a THEN b END AND id = 5",
       }) {
    EXPECT_TRUE(point(text) == "t:") << text << " gave " << point(text);
  }
  for (const char* text : {
           "SELECT * FROM t, u WHERE id = 5",
           "SELECT * FROM t a, t b WHERE a.id = 5",
           "SELECT * FROM t JOIN u WHERE id = 5",
           "SELECT (SELECT max(a) FROM t) FROM t WHERE id = 5",
           "SELECT * FROM t WHERE id = 5 AND a IN u",
           "SELECT * FROM t WHERE id = 5 AND EXISTS(SELECT 1 FROM u)",
           "SELECT * FROM t WHERE id = 5 UNION SELECT * FROM t",
           "WITH t AS (SELECT 1 AS id) SELECT * FROM t WHERE id = 5",
           "UPDATE t SET a = (SELECT 1 FROM u) WHERE id = 5",
           "UPDATE t SET a = u.a FROM u WHERE t.id = 5",
           "UPDATE OR IGNORE t SET id = 6 WHERE id = 5",
           "DELETE FROM t",
           "SELECT * FROM t",
       }) {
    EXPECT_EQ(point(text), "none") << text;
  }
  EXPECT_EQ(point("SELECT * FROM t WHERE id = 5 COLLATE NOCASE"), "t:");
  EXPECT_EQ(point("SELECT * FROM t WHERE id COLLATE NOCASE = 5"), "t:");
  EXPECT_EQ(point("SELECT * FROM t WHERE id = 5 + a"), "t:");
  EXPECT_EQ(point("SELECT * FROM t WHERE id = b"), "t:");
  EXPECT_EQ(point("SELECT * FROM t WHERE id = 5.5"), "t:");
  EXPECT_EQ(point("SELECT * FROM t WHERE id IN (5)"), "t:");
}

TEST(Inserts, ArePlainWhenNoOtherRowDecides) {
  const auto plain = [](const char* text) { return read_statement(text).plain_insert; };
  EXPECT_TRUE(plain("INSERT INTO t VALUES(1, 2), (3, 4) RETURNING a"));
  EXPECT_TRUE(plain("REPLACE INTO t VALUES(1)"));
  EXPECT_TRUE(plain("INSERT INTO t VALUES(1) ON CONFLICT(id) DO UPDATE SET a = a + excluded.a"));
  EXPECT_FALSE(plain("INSERT INTO t SELECT * FROM u"));
  EXPECT_FALSE(plain("INSERT OR IGNORE INTO t VALUES(1)"));
  EXPECT_FALSE(plain("INSERT INTO t VALUES(1) ON CONFLICT DO NOTHING"));
  EXPECT_FALSE(plain("INSERT INTO t VALUES(1) ON CONFLICT(id) DO UPDATE SET a = 1 WHERE a > 2"));
  EXPECT_FALSE(plain("INSERT INTO t VALUES((SELECT 1))"));
  EXPECT_FALSE(plain("INSERT INTO t VALUES(1 IN u)"));
  EXPECT_FALSE(plain("UPDATE t SET a = 1"));
}

}  // namespace
}  // namespace assent::sql
