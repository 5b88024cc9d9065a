<?php
/*
 * Changes lines of a passwd-file as Roundcube's driver does: locks the file
 * that it has open, reads all, writes all to what now has the name, unlocks.
 *
 * usage: php webmail_writer.php PATH; reads lines of a name, a tab and the new
 * password field, and answers each with a line when it is done.
 */

function change($path, $name, $stored)
{
	$file = fopen($path, 'r');
	if (!flock($file, LOCK_EX)) {
		return false;
	}
	$text = '';
	while (($line = fgets($file)) !== false) {
		if (strpos($line, "$name:") === 0) {
			$fields = explode(':', $line, 3);
			$line = "$name:$stored:$fields[2]";
		}
		$text .= $line;
	}
	$is_written = file_put_contents($path, $text) === strlen($text);
	flock($file, LOCK_UN);
	fclose($file);
	return $is_written && $text !== '';
}

while (($order = fgets(STDIN)) !== false) {
	[$name, $stored] = explode("\t", rtrim($order, "\n"));
	echo change($argv[1], $name, $stored) ? "changed\n" : "failed\n";
}
